"""Linux interfaces, one per file: processes, control groups, Landlock, sockets, inotify."""
