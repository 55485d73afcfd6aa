"""'Dynamic Routing Between Capsules' (Sabour, Frosst, Hinton, NIPS 2017), reproduced.

Every statement about the model carries its source: [P] the paper, [C] the authors' released
TensorFlow code, [D] derived by arithmetic, [?] said by neither, so chosen here.
"""
