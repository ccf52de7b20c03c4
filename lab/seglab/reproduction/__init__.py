"""What VB2014 printed, and whether a run reproduces it."""
