"""mmload: load, profile and judge SGLang servers that hand multimodal inputs to their TP ranks."""

__version__ = "0.1.0"
