"""How pages are written; a package, since modules of this room are kinds, which the plan imports without pandas."""
