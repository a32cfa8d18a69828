"""The JSON API: one file a resource; what each promises stands in its OpenAPI text."""
