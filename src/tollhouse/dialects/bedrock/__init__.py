"""Amazon Bedrock's Converse API, towards the host. Pure. `providers.bedrock` puts its parts together.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html: `encode` and `messages` write a
request, `decode` reads an answer out of the frames of `eventstream`, `faults` reads errors, `families` knows how models
differ, and `words` holds the names that both directions share.
"""
