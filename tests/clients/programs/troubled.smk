# A rule that fails, and one that would last for hours.


rule fail:
    output:
        "fail.txt",
    shell:
        "echo no such thing; exit 3"


rule sleep:
    output:
        "sleep.txt",
    shell:
        "sleep 7200; touch {output}"
