"""What a wheel holds, what each extra brings, and that it is typed."""
