def write_card(path, shape, gguf, findings, run): 
    for probe, given in findings.misses: print(f"{probe.area}: {probe.turns[-1][1]!r}\n    {given!r}")
    for area, (good, total) in findings.counts.items(): print(f"{area:24} {good}/{total}")
