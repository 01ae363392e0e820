"""Work on the processes of a Ray cluster: `ray_option` is the setting, `ray_map` the map over parts of a step, and
`ray_driver` the process that talks to Ray.
"""
