"""What vendors answer when something is wrong, in their own words, and what it means."""

from __future__ import annotations

from tests.faults.vendor_accounts import ACCOUNTS
from tests.faults.vendor_codes import FINAL, OVERFLOW
from tests.faults.vendor_filters import FILTERS, INVALID_CALLS
from tests.faults.vendor_overflows import TOO_LONG

# name, status, body, meaning
ANSWERS = [
    *ACCOUNTS,
    *FILTERS,
    *INVALID_CALLS,
    *(
        (f"too-long-{name}", status, {"error": {"message": words}}, OVERFLOW)
        for name, status, words in TOO_LONG
    ),
    ("output-cap", 400, {"error": {"message": "max_tokens: 100000 > 64000, which is the maximum"}}, FINAL),
]
