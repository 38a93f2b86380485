"""Git's file formats, read and written without running git where possible: ignore rules, index, objects, patches."""
