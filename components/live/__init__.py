"""The live view: components that follow runs by themselves, beside Streamlit."""
