"""The built-in classifiers: one file each, found by ``lab.classifier_registry``.

To add one, write ``lab/classifiers/NAME.py`` with ``CLASSIFIER``, the one
``lab.classifier.Classifier`` of the file.
"""
