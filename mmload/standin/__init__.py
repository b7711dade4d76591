"""The embedded stand-in server: SGLang's processes, protocol and handoff with a modelled device. See server.py."""
