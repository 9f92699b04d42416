"""Examples that run in containers: their READMEs are typed as they stand, and what their jobs have made is checked."""
