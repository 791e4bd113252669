"""Images from files and uploads, and the samples."""
