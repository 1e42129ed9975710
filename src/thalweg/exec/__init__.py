"""How work is watched and shared out."""

from thalweg.exec.progress import bar as bar
