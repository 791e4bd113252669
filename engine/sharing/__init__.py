"""A run as files to show to others: moving pictures, a page, code that repeats it, data, a QR code.

Everything here turns a `engine.run.Run` that is over into bytes and changes nothing; `engine.sharing.files`
lists what there is by the name of the file.
"""
