"""The engine that translates on CPUs: onnxruntime runs graphs that are built here from the weights of a model.

No torch. `kotrans.model` defines what a model computes and trains it; the graphs compute the same.
"""
