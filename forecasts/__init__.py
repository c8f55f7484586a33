"""Forecasters: additive Prophet for all series of a time grid at once (``solver``). Not yet a part of the pipeline."""
