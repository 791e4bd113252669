"""Methods that experiments of several papers use."""
