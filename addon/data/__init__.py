# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on knows by heart: the regions of a face, expressions, visemes, the names that engines expect."""
