"""The networks: one TOML file each, found by ``lab.registry`` under the file's name.

::

    title = "what it is, in one line"          # required; all else has a default
    source = "where the numbers come from"
    mtu = 1500                                 # of the client's own interface, 68 to 65535
    path_condition = "steady"                  # or small_mss, fluctuating, pmtu_fall

    [client]                                   # the client's own TCP
    timestamps = true                          # 12 bytes of each segment
    sack = true
    initcwnd = 10                              # segments
    congestion_control = "reno"

    [links.access]                             # between client and router, in both directions
    delay_ms = 10                              # any field of lab.link.LinkParams

    [links.access.up]                          # from client to server: over what holds for both
    bw_mbit = 1

    [links.core]                               # between router and server
    delay_ms = 60

A scenario's file can have networks of its own: ``[[network]]`` tables with a ``name`` more.
"""
