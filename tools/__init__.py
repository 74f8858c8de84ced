"""Generators and checks that the project runs on itself."""
