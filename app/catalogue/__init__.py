"""The page that lists what there is: attacks, models, samples."""
