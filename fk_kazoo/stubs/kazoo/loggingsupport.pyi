from typing import Final

BLATHER: Final = 5
"""The level of what is logged about every request and every answer: below DEBUG."""
