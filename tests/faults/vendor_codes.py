"""What the answers of vendors mean: the code of the error, and whether the call is tried again."""

from __future__ import annotations

QUOTA = ("insufficient_quota", False)
KEY = ("authentication_error", False)
MODEL = ("model_not_found", False)
FULL = ("rate_limited", True)
OVERFLOW = ("context_overflow", False)
REFUSED = ("refusal", False)
AGAIN = ("provider_error", True)
FINAL = ("provider_error", False)
