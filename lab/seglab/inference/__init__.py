"""From sizes back to writes: hypotheses about path and writer, and how well each explains them.

``docs/boundaries.md`` has the model. Pure: observations in, posteriors out.
"""
