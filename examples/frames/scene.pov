// Two balls on a chequered floor: the clock goes from 0 to 1, and what is at 1 is as at 0.
#version 3.7;
global_settings { assumed_gamma 1.0 }
#declare turn = 2*pi*clock;
camera { location <0, 2.6, -6> look_at <0, 0.7, 0> angle 42 }
light_source { <-6, 9, -7> color rgb 1.1 }
background { color rgb <0.55, 0.7, 0.9> }
plane {
  y, 0
  pigment { checker color rgb 0.95, color rgb <0.25, 0.3, 0.4> scale 0.6 }
  finish { reflection 0.15 }
}
sphere {
  <0, 0.8, 0>, 0.8
  pigment { color rgb 0.1 }
  finish { reflection 0.7 specular 0.8 roughness 0.01 }
}
sphere {
  <1.7*cos(turn), 0.35 + 0.5*abs(sin(2*turn)), 1.7*sin(turn)>, 0.35
  pigment { color rgb <0.9, 0.15, 0.1> }
  finish { phong 0.6 }
}
