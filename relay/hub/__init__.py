"""Who is listening, and what each of them gets."""
