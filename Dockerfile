# docker build -t foolscope .                                             with CUDA (also runs without a GPU)
# docker build -t foolscope --build-arg TORCH_INDEX=<PyTorch's CPU index> .   several GB smaller
# docker run -p 127.0.0.1:8501:8501 -v foolscope:/data foolscope          with a GPU: add --gpus all
FROM python:3.12-slim

ARG TORCH_INDEX=""
# requirements-page.txt is enough for pages whose networks are elsewhere (FOOLSCOPE_ENGINE): no torch.
ARG REQUIREMENTS=requirements.txt
# Extras: requirements-postgresql.txt, requirements-ray.txt, requirements-s3.txt, requirements-more.txt, separated by spaces.
ARG EXTRAS=""
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore MALLOC_ARENA_MAX=2 GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=134217728

WORKDIR /srv/foolscope
COPY requirements*.txt requirements.lock ./
RUN if [ -n "$TORCH_INDEX" ] && [ "$REQUIREMENTS" = requirements.txt ]; then pip install --index-url "$TORCH_INDEX" $(grep '^torch' requirements.txt); fi \
    && pip install -r "$REQUIREMENTS" $(printf -- '-r %s ' $EXTRAS | sed 's/^-r *$//') -c requirements.lock

COPY . ./
RUN useradd --create-home foolscope && install -d -o foolscope /data
USER foolscope

# Downloaded weights and MNIST outlive the container here. Put weights of your own into /data/weights.
ENV FOOLSCOPE_HOME=/data
VOLUME /data

EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

# One process: the runs live in its memory.
CMD ["streamlit", "run", "app/main.py", "--server.address=0.0.0.0"]
