"""A widget that signs users in, as functions behind an API gateway: `widget` for browsers, `gate` for the widget's own API.

What a widget on AWS Lambda needs, written for the event of an HTTP API (payload format 2.0). docs/guides/lambda-widget.md walks through it;
`python -m examples.lambda_widget` runs it on this machine.
"""
