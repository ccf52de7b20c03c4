"""The networks: one TOML file each, found by ``seglab.experiment.registry`` under the file's name.

::

    title = "what it is, in one line"          # required; all else has a default
    source = "where the numbers come from"
    ip_version = 4                             # or 6
    mtu = 1500                                 # of the client's own interface, 68 to 65535
    path_condition = "steady"                  # or small_mss, fluctuating, pmtu_fall; by default
                                               # it follows from the rest (typical_condition)
    time_limit_s = 10                          # beyond what a session needs; by default the run's
    completes = false                          # sessions are expected to run into that limit

    [client]                                   # the client's own TCP
    timestamps = true                          # 12 bytes of each segment
    sack = true
    initcwnd = 10                              # segments
    congestion_control = "reno"
    mtu_probing = 0                            # tcp_mtu_probing: 0, 1 or 2
    pmtu_expires_s = 600                       # how long a narrow path is remembered
    # send_window_bytes = 1460                 # a window that counts bytes, as other stacks have
    personality = "linux"                      # or windows, lwip: unchecked; they fix timestamps,
                                               # sack and initcwnd (seglab.networks.personality)
    tcp = "kernel"                             # or simulator: whose code it is on the kernel engine

    [router]                                   # between the links
    mtu = 1400                                 # of its link to the server; without it, all passes
    mss_clamp = false                          # whether it lowers the MSS option of SYNs
    icmp = true                                # false: a black hole for what does not fit
    schedule = [                               # how mtu changes, from the first SYN
        { at_ms = 250, mtu = 576 },
        { at_ms = 1250, mtu = 1500 },
    ]
    repeat_ms = 2000                           # after how long it begins again; by default never

    [links.access]                             # between client and router, in both directions
    delay_ms = 10                              # any field of seglab.networks.link.LinkParams

    [links.access.up]                          # from client to server; counts before [links.access]
    bw_mbit = 1

    [links.core]                               # between router and server
    delay_ms = 60

A scenario's file can define networks: ``[[network]]`` tables with a ``name`` beside these keys.
With ``like = "ethernet"``, such a network takes the values that it does not state from another
network.
"""
