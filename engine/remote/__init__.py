"""The engine on other machines: replicas that compute (`replica`, `serving`), and who asks them (`client`,
`remote_engine`)."""
