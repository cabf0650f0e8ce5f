"""The foundation: errors, findings, files, processes, names, YAML with line numbers, units."""
