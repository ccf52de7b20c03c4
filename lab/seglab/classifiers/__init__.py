"""The built-in classifiers: one file each, found by ``seglab.classification.registry``.

To add one, write ``lab/seglab/classifiers/NAME.py`` with ``CLASSIFIER``, the one
``seglab.classification.classifier.Classifier`` of the file.
"""
