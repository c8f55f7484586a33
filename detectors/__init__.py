"""Pure online detectors: what is unusual, and why. No Faust, no client, no clock."""
