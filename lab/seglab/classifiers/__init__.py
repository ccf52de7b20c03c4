"""The built-in classifiers: one file each, found by ``seglab.classifier_registry``.

To add one, write ``lab/seglab/classifiers/NAME.py`` with ``CLASSIFIER``, the one
``seglab.classifier.Classifier`` of the file.
"""
