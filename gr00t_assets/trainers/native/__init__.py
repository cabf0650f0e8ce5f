import logging

# Where it is installed peft imports it, and on a CPU it warns of kernels that nothing here uses.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
