"""Which layer gets how many bits: differentiable search under a budget of bytes, bit operations, LUTs or cycles.

from flow.search.budget import Budget                  # what may be spent
from flow.search.costs import costs                    # what each layer costs at each width
from flow.search.repair import candidates              # whole widths within the budget
from flow.search.run import find_widths, train_found   # the whole; imports TensorFlow
"""
