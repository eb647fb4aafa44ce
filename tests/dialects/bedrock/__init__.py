"""The tests of `tollhouse.dialects.bedrock`."""
