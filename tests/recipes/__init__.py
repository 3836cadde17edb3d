"""The programs of `compat_tests.recipes`, for a moment each."""
