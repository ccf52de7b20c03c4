"""The lab's client over loopback, for tests: its jobs bring their steps along.

Started with the number of its channel's descriptor. Nothing of it is changed but two things: it
speaks to this machine, which it refuses otherwise, and a job's ``script`` stands for a sender.
"""

import sys

from seglab.kernel import client, client_session
from seglab.kernel.channel import Channel
from seglab.sender import steps

KINDS = {"write": steps.Write, "wait": steps.Wait, "expect": steps.Expect}


def main() -> None:
    """Do the jobs that come over the channel."""
    client_session.check_peer = lambda _address: None
    client.steps_of = lambda job: [KINDS[kind](*values) for kind, *values in job["script"]]
    client.Client(Channel.from_fd(int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
