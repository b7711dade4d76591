"""What looks at a server while it runs. Nothing here knows what load it is under.

observer.py    the one interface: find the processes, sample, profile, stamp, dump
local.py       this host's own: cpu.py samples (gpu.py), stacks.py profiles (subject.py, pyspy.py, thread_cpu.py,
               frames.py), stamped.py takes stacks with their times (pyspy_stamped.py), kernel.py asks the kernel
remote.py      another host's, by remote_samples.py, remote_stacks.py and remote_stamped.py (remote_stream.py), which
               speak over agent_link.py to ...
agent.py       ... the agent there: agent_guard.py lets requests in, agent_permits.py says which processes,
               agent_sessions.py streams what the local samplers find (agent_taps.py); agent_protocol.py draws
               what is said
metrics.py     the server's own /metrics
"""
