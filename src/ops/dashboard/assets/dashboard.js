// What makes the pages handier: they say and do everything without it, too.
'use strict';

const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
const csrf = () => document.body.dataset.csrf || '';

// Times in the reader's zone; the absolute one stays as the title.
for (const time of all('time')) {
  const at = new Date(time.dateTime);
  time.title = time.dateTime;
  time.textContent = at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

// The workspace changes as soon as another is chosen.
for (const select of all('select[data-go]')) {
  select.addEventListener('change', () => select.form.requestSubmit());
  for (const button of all('button', select.form)) button.hidden = true;
}

// Copy buttons, which only a script can make work.
const said = document.getElementById('said');
for (const button of all('button[data-copy]')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = document.execCommand('copy') ? 'Copied' : 'Selected';
    }
    if (said) said.textContent = `${button.dataset.what || 'text'} copied`;
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}

// Sections become tabs (the pattern of the ARIA practices: arrows move, the chosen one is in the tab order).
for (const tabs of all('.tabs')) {
  const sections = all(':scope > section', tabs);
  const list = document.createElement('div');
  list.setAttribute('role', 'tablist');
  list.setAttribute('aria-label', tabs.dataset.label);
  const buttons = sections.map((section) => {
    const heading = section.querySelector('h3');
    const button = document.createElement('button');
    button.type = 'button';
    button.id = `tab-${section.id}`;
    button.textContent = heading.textContent;
    button.setAttribute('role', 'tab');
    button.setAttribute('aria-controls', section.id);
    heading.hidden = true;
    section.setAttribute('role', 'tabpanel');
    section.setAttribute('aria-labelledby', button.id);
    section.tabIndex = 0;
    return button;
  });
  const choose = (index, focus) => {
    buttons.forEach((button, at) => {
      button.setAttribute('aria-selected', String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      sections[at].hidden = at !== index;
    });
    if (focus) buttons[index].focus();
  };
  buttons.forEach((button, index) => {
    button.addEventListener('click', () => choose(index, false));
    button.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose((index + step + buttons.length) % buttons.length, true);
      if (event.key === 'Home') choose(0, true);
      if (event.key === 'End') choose(buttons.length - 1, true);
    });
    list.append(button);
  });
  tabs.classList.add('on');
  tabs.prepend(list);
  choose(0, false);
}

// How far a publish is, as it happens; without a stream the page is loaded again now and then.
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
for (const place of all('[data-publish]')) {
  const again = () => setTimeout(() => location.reload(), 3000);
  const events = new EventSource(`/events?publish=${place.dataset.publish}`);
  events.addEventListener('message', (event) => {
    const news = JSON.parse(event.data);
    if (news.status === 'Published' || news.status === 'Error') {
      events.close();
      location.reload();
      return;
    }
    const progress = place.querySelector('progress');
    const words = place.querySelector('[data-words]');
    if (news.bytes_total > 0) {
      progress.max = news.bytes_total;
      progress.value = news.bytes_done;
      words.textContent = `${news.status}: ${megabytes(news.bytes_done)} of ${megabytes(news.bytes_total)}`;
    } else {
      words.textContent = news.error ? `${news.status}: ${news.error}` : news.status;
    }
  });
  events.addEventListener('error', () => {
    if (events.readyState === EventSource.CLOSED) again();
  });
}

// Edges whose state changed: the page is loaded again, unless somebody is typing.
for (const place of all('[data-edges]')) {
  const events = new EventSource(`/events?edges=${place.dataset.edges}`);
  let seen = null;
  events.addEventListener('message', (event) => {
    const is_typing = ['INPUT', 'SELECT', 'TEXTAREA'].includes(document.activeElement.tagName);
    if (seen !== null && seen !== event.data && !is_typing) location.reload();
    if (!is_typing) seen = event.data;
  });
}

// A page whose subject is still being worked on is loaded again.
for (const place of all('[data-reload]')) {
  setTimeout(() => location.reload(), Number(place.dataset.reload) * 1000);
}

// A model by drag and drop, with its progress.
for (const form of all('form[data-upload]')) {
  const file = form.elements.file;
  const name = form.elements.name;
  const progress = form.querySelector('progress');
  const words = form.querySelector('[data-words]');
  const drop = form.querySelector('.drop');
  // Of several files the model is the one that is called so; the others hold weights of it.
  const model = () => [...file.files].find((one) => /\.onnx$/i.test(one.name)) || file.files[0];
  const chosen = () => {
    if (file.files.length && !name.value) {
      const stem = model().name.replace(/\.[^.]*$/, '').toLowerCase();
      name.value = stem.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63);
    }
  };
  file.addEventListener('change', chosen);
  for (const kind of ['dragover', 'dragleave', 'drop']) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', kind === 'dragover');
      if (kind === 'drop' && event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        chosen();
      }
    });
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const parts = new FormData();
    parts.append('metadata', JSON.stringify({ name: name.value, workspace_id: Number(form.elements.workspace_id.value) }));
    parts.append('file', model());
    for (const one of file.files) if (one !== model()) parts.append('side_file', one);
    const request = new XMLHttpRequest();
    const button = form.querySelector('button');
    const failed = (sentence) => {
      button.disabled = false;
      progress.hidden = true;
      words.textContent = sentence;
      words.classList.add('wrongly');
    };
    request.upload.addEventListener('progress', (moved) => {
      progress.hidden = false;
      progress.max = moved.total;
      progress.value = moved.loaded;
      words.textContent = `${megabytes(moved.loaded)} of ${megabytes(moved.total)}`;
    });
    request.addEventListener('load', () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status === 200) {
        location.assign(`/model-versions/${answer.insert_models.returning[0].models[0].id}`);
      } else {
        failed(answer.msg || `the upload was refused with status ${request.status}`);
      }
    });
    request.addEventListener('error', () => failed('the connection broke: send it again'));
    request.open('POST', '/v1/api/models/upload');
    request.setRequestHeader('X-CSRF-Token', csrf());
    button.disabled = true;
    words.classList.remove('wrongly');
    request.send(parts);
  });
}
