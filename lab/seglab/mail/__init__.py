"""Mail: the words, header fields and bodies of generated mail, and the user's own files."""
