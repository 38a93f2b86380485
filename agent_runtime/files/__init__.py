"""Reading and editing files: safe paths, exact edits, patches, atomic writes."""
