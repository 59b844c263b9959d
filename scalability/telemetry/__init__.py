"""Counters, histograms and their exposition; counted with plain integers, exported at scrape time."""
