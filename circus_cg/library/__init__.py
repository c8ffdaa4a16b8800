"""Workers with limits from inside a program. The public names are `circus_cg`'s own."""
