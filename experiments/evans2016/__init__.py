"""Experiments of the panda-to-vulture article, https://codewords.recurse.com/issues/five/."""
