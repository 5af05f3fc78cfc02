"""Other tools' files, to and from events; each format is a module, the registry names them."""
