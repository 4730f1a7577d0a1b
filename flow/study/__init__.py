"""A study: several networks, trained and built alike, and what they show. One harness for all studies.

`subject` says what a study is to the harness, `loop` trains, builds and writes down what is known after each network,
`hardware` builds one, `table` is what their results share, `left` says how much time is left. The studies themselves
are `flow.n2uq_study` and `flow.isocost`.
"""
